-- Asked: now, until, owner, queues, a token for every message wanted.
-- Answers: the messages with their new leases {id, queue, job, visible, body, rank, token, delivery}.
local now, till, owner, queues, tokens = asked[1], asked[2], asked[3], asked[4], asked[5]
local AT_ONCE = 1000

local function rows(ids)
  local mine, found = {}, {}
  for _, token in ipairs(tokens) do
    mine[token] = true
  end
  for _, id in ipairs(ids) do
    local row = call('HMGET', B .. ':m:' .. id, 'q', 'j', 'v', 'b', 'p', 't', 'c')
    if row[1] and mine[row[6]] then
      table.insert(row, 1, id)
      found[#found + 1] = row
    end
  end
  return found
end

-- What is due by now of one order is ready. Of very many at once, the first: the others at the next look.
local function surface(queue, order)
  local key = B .. ':' .. order .. ':' .. queue
  local due = call('ZRANGEBYLEX', key, '-', '(' .. now .. '\255', 'LIMIT', 0, AT_ONCE)
  for _, at in ipairs(due) do
    local message = B .. ':m:' .. string.sub(at, 37)
    call('ZREM', key, at)
    place(queue, 'r', at, call('HGET', message, 'p'))
    call('HSET', message, 'w', 'r')
  end
end

local kept = before()
if kept then
  return rows(kept)
end
local taken = {}
for _, queue in ipairs(queues) do
  surface(queue, 'l')
  surface(queue, 'h')
  if #taken < #tokens then
    for _, at in ipairs(call('ZRANGE', B .. ':r:' .. queue, 0, #tokens - #taken - 1)) do
      local id, held = string.sub(at, 37), till .. string.sub(at, 21)
      local message = B .. ':m:' .. id
      taken[#taken + 1] = id
      unplace(queue, 'r', at)
      place(queue, 'h', held)
      call('HINCRBY', message, 'c', 1)
      call('HSET', message, 'w', 'h', 'k', held, 'o', owner, 't', tokens[#taken], 'u', till)
    end
  end
end
if #taken > 0 then
  remember(taken)
end
return rows(taken)
