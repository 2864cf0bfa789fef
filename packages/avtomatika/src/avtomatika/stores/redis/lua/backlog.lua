-- Asked: a bound of queues, another, now, most. Answers: how many messages nobody holds, not above most.
local free, most = 0, asked[4]
for _, queue in ipairs(call('ZRANGEBYLEX', B .. ':q', asked[1], asked[2])) do
  local all = call('ZCARD', B .. ':i:' .. queue)
  free = free + all - call('ZLEXCOUNT', B .. ':h:' .. queue, '(' .. asked[3] .. '\255', '+')
  if free >= most then
    return most
  end
end
return free
