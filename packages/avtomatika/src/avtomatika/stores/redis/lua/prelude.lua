-- Begins every script. KEYS[1] is `{PREFIX}`: every key of the store begins with it, so all are of one slot, and
-- the others are named from it here. ARGV: the bucket of answers, the name of this call in it, what is asked for.
--
-- Moments are 20 digits of milliseconds + 2^63: they sort as text, and never become a number of Lua. Places of
-- messages are the moment when the message is due, 16 digits that count what was sent, and its id.
--
-- Keys: j job, f facts, b branches, x lists, t counts, e ended jobs, c claims, ce their ends, m message,
-- q queues, i ids of a queue, r ready, a ready by age, l later, h held, n counter, o answers, s shelf,
-- d documents, dx their ends, dn their counter, time floor of the clock.
local B = KEYS[1]
local BUCKET, CALL = B .. ':o:' .. ARGV[1], ARGV[2]
local asked = cmsgpack.unpack(ARGV[3])
local KEPT_MS = 60000

local call = redis.call

-- What this call answered when it came before, or nil. Written again: who waits for replicas waits for it too.
local function before()
  local kept = call('HGET', BUCKET, CALL)
  if not kept then
    return nil
  end
  call('HSET', BUCKET, CALL, kept)
  return cmsgpack.unpack(kept)
end

-- The answer is remembered for as long as the call may be repeated.
local function remember(answer)
  call('HSET', BUCKET, CALL, cmsgpack.pack(answer))
  if call('HLEN', BUCKET) == 1 then
    call('PEXPIRE', BUCKET, KEPT_MS)
  end
  return answer
end
