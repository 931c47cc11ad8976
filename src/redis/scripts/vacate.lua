-- Removes whatever is under a key, as `replace` does, for an execution that was placed under it in another partition.
-- KEYS  work, front, schedule
-- ARGV  prefix, key
--@include now
--@include memory
local prefix, key = ARGV[1], ARGV[2]
--@include events
--@include entries
--@include moves
--@include permits
--@include forget
--@include displace

local record = redis.call('HMGET', prefix .. KEY.record .. key, RECORD.state, RECORD.entry)
if not record[1] then
  return
end
supersede_or_displace(key, record[1], record[2])
write_permits()
forget_chain(key)
redis.call('DEL', prefix .. KEY.record .. key)
