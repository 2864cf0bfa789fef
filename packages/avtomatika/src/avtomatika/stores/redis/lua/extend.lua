-- Asked: id, token, now, until. Answers: 1 when the lease stood and lasts until then, else 0.
local id, till = asked[1], asked[4]
if not stands(id, asked[2], asked[3]) then
  return 0
end
local message = B .. ':m:' .. id
local old = call('HMGET', message, 'q', 'w', 'k')
local held = till .. string.sub(old[3], 21)
unplace(old[1], old[2], old[3])
place(old[1], 'h', held)
call('HSET', message, 'w', 'h', 'k', held, 'u', till)
return 1
