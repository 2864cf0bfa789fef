-- Messages and their places. A message is in one of three orders: ready (r by rank and place, a by place alone),
-- later (l) or held (h); `w` says which, `k` is its place there.
local function place(queue, where, at, rank)
  if where == 'r' then
    call('ZADD', B .. ':r:' .. queue, rank, at)
    call('ZADD', B .. ':a:' .. queue, 0, at)
  else
    call('ZADD', B .. ':' .. where .. ':' .. queue, 0, at)
  end
end

local function unplace(queue, where, at)
  if where == 'r' then
    call('ZREM', B .. ':r:' .. queue, at)
    call('ZREM', B .. ':a:' .. queue, at)
  else
    call('ZREM', B .. ':' .. where .. ':' .. queue, at)
  end
end

-- The message is not there. Who had been given it last, or nil.
local function remove(id)
  local key = B .. ':m:' .. id
  local old = call('HMGET', key, 'q', 'w', 'k', 'o')
  local queue = old[1]
  if not queue then
    return nil
  end
  unplace(queue, old[2], old[3])
  local ids = B .. ':i:' .. queue
  call('ZREM', ids, id)
  if call('EXISTS', ids) == 0 then
    call('ZREM', B .. ':q', queue)
  end
  call('DEL', key)
  return old[4] or nil
end

-- The message is there, in place of another of its id: {id, queue, job, visible, body, rank, lease or false}.
-- Who had been given the other one, or nil.
local function put(message, now)
  local id, queue, visible, rank, lease = message[1], message[2], message[4], message[6], message[7]
  local owner = remove(id)
  local due = lease and lease[3] or visible
  local where = lease and 'h' or due <= now and 'r' or 'l'
  local at = due .. string.format('%016.0f', call('INCR', B .. ':n')) .. id
  local key = B .. ':m:' .. id
  call('HSET', key, 'q', queue, 'j', message[3], 'v', visible, 'b', message[5], 'p', rank, 'w', where, 'k', at)
  if lease then
    call('HSET', key, 'o', lease[1], 't', lease[2], 'u', lease[3], 'c', lease[4])
  end
  place(queue, where, at, rank)
  local ids = B .. ':i:' .. queue
  call('ZADD', ids, 0, id)
  if call('ZCARD', ids) == 1 then
    call('ZADD', B .. ':q', 0, queue)
  end
  return owner
end

local function stands(id, token, now)
  local lease = call('HMGET', B .. ':m:' .. id, 't', 'u')
  return lease[1] == token and lease[2] > now
end

-- The first place of the queue in one of the orders, or nil.
local function first(queue, order)
  return call('ZRANGE', B .. ':' .. order .. ':' .. queue, 0, 0)[1]
end

local function earlier(one, other)
  if one and other then
    return one < other and one or other
  end
  return one or other
end
