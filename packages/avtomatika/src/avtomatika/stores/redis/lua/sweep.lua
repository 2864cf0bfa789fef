-- Asked: now, the moment before which jobs must have ended, how many jobs at most, how many claims at most.
-- Answers: the number of jobs forgotten, and of claims.
local kept = before()
if kept then
  return kept
end
local jobs = call('ZRANGEBYLEX', B .. ':e', '-', '(' .. asked[2], 'LIMIT', 0, asked[3])
local claims = call('ZRANGEBYLEX', B .. ':ce', '-', '(' .. asked[1] .. '\255', 'LIMIT', 0, asked[4])
for _, ended in ipairs(jobs) do
  call('ZREM', B .. ':e', ended)
  forget(string.sub(ended, 21))
end
for _, claim in ipairs(claims) do
  call('ZREM', B .. ':ce', claim)
  call('DEL', B .. ':c:' .. string.sub(claim, 21))
end
if #jobs + #claims == 0 then
  return { 0, 0 }
end
return remember({ #jobs, #claims })
