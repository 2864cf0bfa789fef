-- Asked: lists, upper bound of places, lower bound, how many jobs at most, how many bytes, about.
-- Answers: the place to go on below, '' when there is nothing more; and jobs {place, head, data} that are in all
-- of the lists, newest first. The shortest list is walked, and no further than takes a few milliseconds.
local upper, lower, limit, bytes = asked[2], asked[3], asked[4], asked[5]
local MOST, STEP = 20000, 500

local walked, others, shortest = nil, {}, nil
for _, name in ipairs(asked[1]) do
  local key = B .. ':x:' .. name
  local length = call('ZCARD', key)
  if not shortest or length < shortest then
    if walked then
      others[#others + 1] = walked
    end
    walked, shortest = key, length
  else
    others[#others + 1] = key
  end
end

local function in_others(places)
  local left = places
  for _, key in ipairs(others) do
    if #left == 0 then
      return left
    end
    local scores, kept = call('ZMSCORE', key, unpack(left)), {}
    for n, score in ipairs(scores) do
      if score then
        kept[#kept + 1] = left[n]
      end
    end
    left = kept
  end
  return left
end

local found, looked, size = {}, 0, 0
local step = #others == 0 and limit or STEP
while looked < MOST do
  local places = call('ZREVRANGEBYLEX', walked, upper, lower, 'LIMIT', 0, step)
  for _, at in ipairs(in_others(places)) do
    local job = call('HMGET', B .. ':j:' .. string.sub(at, 21), 'h', 'd')
    found[#found + 1] = { at, job[1], job[2] }
    size = size + #job[1] + #job[2]
    if #found == limit or size > bytes then
      return { at, found }
    end
  end
  if #places < step then
    return { '', found }
  end
  upper, looked = '(' .. places[#places], looked + #places
end
return { string.sub(upper, 2), found }
