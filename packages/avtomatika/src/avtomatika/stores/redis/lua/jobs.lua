-- Jobs with the lists that they are in, and the counts of where they stand.
local function count(of, status, by)
  if call('HINCRBY', of, status, by) == 0 then
    call('HDEL', of, status)
  end
end

local function stand(client, status, by)
  count(B .. ':t', status, by)
  count(B .. ':t:' .. client, status, by)
end

local function set(names)
  local found = {}
  for _, name in ipairs(names and cmsgpack.unpack(names) or {}) do
    found[name] = true
  end
  return found
end

-- The job is in the lists of `new` at one place, and no longer in those of `old` at another.
local function list(old, old_place, new, new_place)
  if old == new and old_place == new_place then
    return
  end
  local left, entered, same = set(old), set(new), old_place == new_place
  for name in pairs(left) do
    if not (same and entered[name]) then
      call('ZREM', B .. ':x:' .. name, old_place)
    end
  end
  for name in pairs(entered) do
    if not (same and left[name]) then
      call('ZADD', B .. ':x:' .. name, 0, new_place)
    end
  end
end

-- The job is there, as commit.lua is told of it; `stored` is what it was.
local function keep(job, stored)
  local key, client, status, ended = B .. ':j:' .. job[1], job[6], job[7], job[10]
  local fields = { 'v', job[3], 'h', job[4], 'c', client, 's', status, 'k', job[8], 'x', job[9], 'u', ended }
  if job[5] then
    fields[15], fields[16] = 'd', job[5]
  end
  call('HSET', key, unpack(fields))
  list(stored[5], stored[4], job[9], job[8])
  if stored[2] ~= client or stored[3] ~= status then
    if stored[3] then
      stand(stored[2], stored[3], -1)
    end
    stand(client, status, 1)
  end
  if (stored[6] or '') ~= ended then
    if stored[6] and stored[6] ~= '' then
      call('ZREM', B .. ':e', stored[6])
    end
    if ended ~= '' then
      call('ZADD', B .. ':e', 0, ended)
    end
  end
end

-- Nothing is left of the job.
local function forget(id)
  local key = B .. ':j:' .. id
  local stored = call('HMGET', key, 'c', 's', 'k', 'x')
  list(stored[4], stored[3], false, false)
  stand(stored[1], stored[2], -1)
  call('UNLINK', key, B .. ':f:' .. id, B .. ':b:' .. id)
end
