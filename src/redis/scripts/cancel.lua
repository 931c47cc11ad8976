-- Cancels an execution wherever it is. One that has not started ends at once. One that runs is stopped by its worker;
-- if the worker dies first, the execution is not run again. An id without a record may be on a stream or unknown. While
-- anything is on the streams, it is remembered for a day, for the worker that meets it: of the latest ids, as many are kept
-- as there are entries, and some thousands in any case.
-- KEYS  work, front, schedule
-- ARGV  prefix, key, token (from its own body; '' from outside)
-- Reply the state it was found in ('' when there is no record), nothing when the token is no longer that of the record
--@include now
--@include memory
local prefix, key, token = ARGV[1], ARGV[2], ARGV[3]
--@include events
--@include entries
--@include moves
--@include permits
--@include message
--@include forget
--@include displace
--@include trim

if token ~= '' and redis.call('HGET', prefix .. KEY.record .. key, RECORD.entry) ~= token then
  return false
end
if redis.call('HEXISTS', prefix .. KEY.automatic, key) == 1 then
  redis.call('HSET', prefix .. KEY.ended, key, '1')
end
local record_key = prefix .. KEY.record .. key
local record = redis.call('HMGET', record_key, RECORD.state, RECORD.entry, RECORD.chain)
local state = record[1]
if record[3] then
  forget_chain(key) -- no run follows, not even the one that runs now
end
if state == 'scheduled' or state == 'queued' then
  local message = displace(key)
  redis.call('HDEL', record_key, PARKED.needs, PARKED.limit)
  end_single(key, ttl_of(message), 'cancelled', PARKED.message, message or '')
elseif state == 'running' and not ((record[2] or '') ~= '' and read_entry(record[2])) then
  end_single(key, DEFAULT_TTL_MS, 'cancelled') -- its entry was deleted, so no worker can settle it
elseif state == 'running' then
  redis.call('HSET', record_key, RECORD.cancelled, '1')
  redis.pcall('PUBLISH', KEYS[#KEYS] .. CHANNEL.cancel, record[2])
elseif not state then
  local parked, member = prefix .. KEY.parked .. key, TAG.lean .. key
  local fields = redis.call('HMGET', parked,
    PARKED.message, PARKED.limit, PARKED.debounce, PARKED.booking, PARKED.due)
  local message, limit = fields[1], fields[2]
  if message then
    if redis.call('ZREM', KEYS[3], member) == 0 and limit then
      redis.call('ZREM', prefix .. KEY.limit .. limit, member)
      serve_waiters(limit)
    end
    forget_limits(member, fields[5], fields[3], fields[4])
    redis.call('DEL', parked)
  else
    local entries = redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2])
    if entries > 0 then
      local cancelled = prefix .. KEY.cancelled
      trim(cancelled, now)
      redis.call('ZADD', cancelled, digits(now + CANCEL_REMEMBERED_MS), key)
      redis.call('PEXPIRE', cancelled, CANCEL_REMEMBERED_MS)
      local excess = redis.call('ZCARD', cancelled) - math.max(entries, CANCELS_REMEMBERED)
      if excess > 0 then
        redis.call('ZREM', cancelled, unpack(redis.call('ZRANGE', cancelled, 0, math.min(excess, BATCH_ITEMS) - 1)))
      end
      redis.pcall('PUBLISH', KEYS[#KEYS] .. CHANNEL.cancel, member)
    end
  end
end
write_permits()
return state or ''
