-- Places an execution under a key, whatever holds the key. An execution that is scheduled, queued or waiting there is
-- removed. A running one goes on, but nothing of it is written any more.
-- KEYS  work, front, schedule, strikes
-- ARGV  prefix, key, task, due (see _due.lua), message, version of the strikes it was checked against, chain ('' for none),
--       priority, '1' when other partitions may have the key
-- Reply now, generation, then where a worker moves what had the key (RECORD.departing, '' if none does), and the
--       generation of that; nothing when the strikes have changed, and nothing was written
--@include now
--@include strikes
if have_strikes_changed(KEYS[4], ARGV[6]) then
  return {}
end
local prefix, key, task, due, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
--@include due
--@include events
--@include entries
--@include moves
--@include permits
--@include forget
--@include displace
--@include generation
--@include place

-- First, since it takes memory: a full server refuses the whole.
local generation = next_generations(1)
local record = redis.call('HMGET', prefix .. KEY.record .. key, RECORD.state, RECORD.entry, RECORD.chain,
  RECORD.departing, RECORD.generation)
supersede_or_displace(key, record[1], record[2])
write_permits()
redis.call('HDEL', prefix .. KEY.ended, key)

if record[3] then
  forget_chain(key)
end
place(key, task, generation, math.max(now, due_time(due)), message, ARGV[7], ARGV[8])
if ARGV[9] == '1' then
  redis.call('HSET', prefix .. KEY.record .. key, RECORD.replacing, digits(now + REPLACING_MS))
end
return { digits(now), digits(generation), record[4] or '', record[5] or '' }
