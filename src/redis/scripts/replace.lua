-- Places an execution under a key whoever has it: what is scheduled, queued or waiting there goes; what runs goes on, but
-- nothing of it is written any more.
-- KEYS  work, front, schedule, strikes
-- ARGV  prefix, key, task, due ('' now, '+n' n ms from now, 'n' server ms), message,
--       version of the strikes it was checked against
-- Reply now, generation; nothing when the strikes have changed, and nothing was written
--@include now
--@include strikes
if are_strikes_other_than(KEYS[4], ARGV[6]) then
  return {}
end
local prefix, key, task, due, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
--@include events
--@include entries
--@include moves
--@include slots
--@include forget
--@include displace
--@include generation
--@include place

-- First, since it takes memory: a full server refuses the whole.
local generation = next_generations(1)
local record = redis.call('HMGET', prefix .. 'run:' .. key, 's', 'e')
if record[1] == 'running' then
  redis.call('SADD', prefix .. 'superseded', record[2])
  redis.call('PEXPIRE', prefix .. 'superseded', 604800000)
  redis.pcall('PUBLISH', prefix .. 'cancel', 's' .. record[2]) -- should its claim be all it has got to
elseif record[1] == 'scheduled' or record[1] == 'queued' then
  displace(key)
end
write_slots()
redis.call('HDEL', prefix .. 'ended', key)

local delay = string.match(due, '^%+(.+)')
place(key, task, generation, delay and now + delay or math.max(now, tonumber(due) or now), message)
return { digits(now), digits(generation) }
