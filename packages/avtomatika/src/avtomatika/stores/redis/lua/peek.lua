-- Asked: queue, a bound of ids, how many at most. Answers: messages {id, queue, job, visible, body, rank}.
local found = {}
for _, id in ipairs(call('ZRANGEBYLEX', B .. ':i:' .. asked[1], asked[2], '+', 'LIMIT', 0, asked[3])) do
  local row = call('HMGET', B .. ':m:' .. id, 'q', 'j', 'v', 'b', 'p')
  table.insert(row, 1, id)
  found[#found + 1] = row
end
return found
