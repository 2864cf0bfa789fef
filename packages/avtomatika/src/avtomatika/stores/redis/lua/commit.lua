-- Asked: now, claim or false {key, value, end}, job or false {id, expected, version, head, data or false, client,
-- status, place, lists, end or '', over}, facts {job, version, body}, branches {task, body}, closed beginnings of
-- tasks, messages, dropped ids, acknowledged {id, token}, true when refusals must reach replicas.
-- Answers: {0, owners whose messages were withdrawn}, {1, claim}, {2} for another version, {3} for a lost lease.
local kept = before()
if kept then
  return kept
end
local now, claim, job = asked[1], asked[2], asked[3]

-- Every check comes before the first write.
local claimed
if claim then
  claimed = call('GET', B .. ':c:' .. claim[1])
  if claimed and string.sub(claimed, 1, 20) > now then
    if asked[10] then
      call('SET', B .. ':told', CALL)
    end
    return { 1, claimed }
  end
end
local stored
if job then
  stored = call('HMGET', B .. ':j:' .. job[1], 'v', 'c', 's', 'k', 'x', 'u')
  if (stored[1] or '0') ~= job[2] then
    return { 2 }
  end
end
for _, lease in ipairs(asked[9]) do
  if not stands(lease[1], lease[2], now) then
    return { 3 }
  end
end

if claim then
  if claimed then
    call('ZREM', B .. ':ce', string.sub(claimed, 1, 20) .. claim[1])
  end
  call('SET', B .. ':c:' .. claim[1], claim[2])
  call('ZADD', B .. ':ce', 0, claim[3] .. claim[1])
end

local robbed = {}
for _, lease in ipairs(asked[9]) do
  remove(lease[1])
end
for _, id in ipairs(asked[8]) do
  robbed[#robbed + 1] = remove(id)
end
for _, message in ipairs(asked[7]) do
  local owner = put(message, now)
  if not message[7] then
    robbed[#robbed + 1] = owner
  end
end

for _, fact in ipairs(asked[4]) do
  call('ZADD', B .. ':f:' .. fact[1], fact[2], fact[3])
end
if job then
  keep(job, stored)
  local branches = B .. ':b:' .. job[1]
  if job[11] then
    call('DEL', branches)
  else
    for _, branch in ipairs(asked[5]) do
      call('HSET', branches, branch[1], branch[2])
    end
    for _, beginning in ipairs(asked[6]) do
      for _, task in ipairs(call('HKEYS', branches)) do
        if string.sub(task, 1, #beginning) == beginning then
          call('HDEL', branches, task)
        end
      end
    end
  end
end
return remember({ 0, robbed })
