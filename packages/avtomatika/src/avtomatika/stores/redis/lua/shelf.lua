-- Asked: what to do, store, key, and for `put` and `new` a value, for `incr` a number, for `swap` two values.
-- Answers: {1, value there now}; {0, value} when it cannot be counted on or is another than was to be swapped.
local kept = before()
if kept then
  return kept
end
local verb, key, name = asked[1], B .. ':s:' .. asked[2], asked[3]
local there = call('HGET', key, name)
if verb == 'put' then
  call('HSET', key, name, asked[4])
  return remember({ 1 })
end
if verb == 'delete' then
  call('HDEL', key, name)
  return remember({ 1 })
end
if verb == 'new' then
  if there then
    return remember({ 1, there })
  end
  call('HSET', key, name, asked[4])
  return remember({ 1, asked[4] })
end
if verb == 'swap' then
  if there ~= asked[4] then
    return { 0, there }
  end
  call('HSET', key, name, asked[5])
  return remember({ 1, asked[5] })
end
if there and not (there == '0' or string.match(there, '^-?[1-9]%d*$')) then
  return { 0, there }
end
local counted = redis.pcall('HINCRBY', key, name, asked[4])
if type(counted) == 'table' then
  return { 0, there }
end
return remember({ 1, call('HGET', key, name) })
