-- Asked: now, how many at most. Documents that have expired by then are gone; answers how many.
local ended = call('ZRANGEBYLEX', B .. ':dx', '-', '(' .. asked[1] .. '\255', 'LIMIT', 0, asked[2])
for _, at in ipairs(ended) do
  local split = 30 + tonumber(string.sub(at, 21, 30))
  call('ZREM', B .. ':dx', at)
  call('HDEL', B .. ':d:' .. string.sub(at, 31, split), string.sub(at, split + 1))
end
return #ended
