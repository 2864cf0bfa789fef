-- Asked: what to do, kind, key, now, end, body, expected version. A document is its end, 16 digits of its version,
-- and its body. Answers: the document that is there, or was taken, or false.
local verb, kind, name, now = asked[1], asked[2], asked[3], asked[4]
local docs = B .. ':d:' .. kind

local function place(doc)
  return string.sub(doc, 1, 20) .. string.format('%010d', #kind) .. kind .. name
end

local kept = before()
if kept then
  return kept[1]
end
local there = call('HGET', docs, name)
local alive = there and string.sub(there, 1, 20) > now
if verb == 'replace' then
  if (alive and string.sub(there, 21, 36) or '0000000000000000') ~= asked[7] then
    return false
  end
elseif verb == 'take' and not alive then
  return false
end
if there then
  call('ZREM', B .. ':dx', place(there))
end
if verb == 'take' or verb == 'delete' then
  call('HDEL', docs, name)
  return remember({ alive and there or false })[1]
end
local doc = asked[5] .. string.format('%016.0f', call('INCR', B .. ':dn')) .. asked[6]
call('HSET', docs, name, doc)
call('ZADD', B .. ':dx', 0, place(doc))
return remember({ doc })[1]
