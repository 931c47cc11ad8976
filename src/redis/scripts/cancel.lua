-- Cancels an execution wherever it is. One that has not started is gone at once; of one that runs, the worker that has it
-- is told, and should that die first, it is not run again. Of an id without a record nobody can say whether it is queued or
-- unknown: it is remembered for a day, for the worker that meets it.
-- KEYS  work, front, schedule
-- ARGV  prefix, key
-- Reply the state it was found in ('' when there is no record)
--@include now
--@include memory
local prefix, key = ARGV[1], ARGV[2]
--@include events
--@include entries
--@include moves
--@include slots
--@include message
--@include forget
--@include displace

local REMEMBERED = 86400000

if redis.call('HEXISTS', prefix .. 'automatic', key) == 1 then
  redis.call('HSET', prefix .. 'ended', key, '1')
end
local run = prefix .. 'run:' .. key
local record = redis.call('HMGET', run, 's', 'e')
local state = record[1]
if state == 'scheduled' or state == 'queued' then
  local message = displace(key)
  redis.call('HDEL', run, 'm', 'n', 'l')
  close(key, ttl_of(message), 'cancelled')
elseif state == 'running' then
  redis.call('HSET', run, 'z', '1')
  redis.pcall('PUBLISH', prefix .. 'cancel', record[2])
elseif not state then
  local parked = prefix .. 'parked:' .. key
  local waiting = redis.call('HMGET', parked, 'm', 'l', 'pq', 'pu', 'w')
  if waiting[1] then
    if redis.call('ZREM', KEYS[3], 'l' .. key) == 0 and waiting[2] then
      redis.call('ZREM', prefix .. 'limit:' .. waiting[2], 'l' .. key)
      serve_waiters(waiting[2])
    end
    forget_limits('l' .. key, waiting[5], waiting[3], waiting[4])
    redis.call('DEL', parked)
  else
    local cancelled = prefix .. 'cancelled'
    redis.call('ZREMRANGEBYSCORE', cancelled, '-inf', digits(now))
    redis.call('ZADD', cancelled, digits(now + REMEMBERED), key)
    redis.call('PEXPIRE', cancelled, REMEMBERED)
    redis.pcall('PUBLISH', prefix .. 'cancel', 'l' .. key)
  end
end
write_slots()
return state or ''
