-- Asked: nothing. Answers: milliseconds since the epoch, never less than before, as text.
local shown = call('TIME')
local now = string.format('%020.0f', shown[1] * 1000 + math.floor(shown[2] / 1000))
local floor = call('GET', B .. ':time')
if floor and floor >= now then
  return floor
end
call('SET', B .. ':time', now)
return now
