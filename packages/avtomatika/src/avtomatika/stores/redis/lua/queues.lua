-- Asked: a bound of queues, another, how many at most. Answers: a message of each {id, queue, job, visible, body,
-- rank}: the one that has waited longest, if one is ready, else the next.
local found = {}
for _, queue in ipairs(call('ZRANGEBYLEX', B .. ':q', asked[1], asked[2], 'LIMIT', 0, asked[3])) do
  local at = first(queue, 'a') or earlier(first(queue, 'l'), first(queue, 'h'))
  local id = string.sub(at, 37)
  local row = call('HMGET', B .. ':m:' .. id, 'q', 'j', 'v', 'b', 'p')
  table.insert(row, 1, id)
  found[#found + 1] = row
end
return found
