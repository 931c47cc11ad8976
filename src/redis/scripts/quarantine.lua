-- Takes a message that can never run off its stream and keeps it where an operator finds it.
-- KEYS  work, front, quarantine
-- ARGV  prefix, token, key ('' without a record), reason, message
-- Reply 1 when the entry was still there
--@include now
local prefix, key = ARGV[1], ARGV[3]
--@include events
--@include entries
--@include moves
--@include slots
--@include quarantine
if not remove(ARGV[2]) then
  return 0
end
quarantine(KEYS[3], key, ARGV[4], ARGV[5])
release_slots({ ARGV[2] })
write_slots()
-- Else the record is another placement's.
if key ~= '' and redis.call('HGET', prefix .. 'run:' .. key, 'e') == ARGV[2] then
  close(key, 900000, 'failed', 'y', ARGV[4])
end
return 1
