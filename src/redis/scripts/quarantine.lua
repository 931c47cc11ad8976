-- Takes a message that can never run off its stream and keeps it where an operator finds it.
-- KEYS  work, front, quarantine
-- ARGV  prefix, token, key ('' without a record), reason, message
-- Reply 1 when the entry was still there
--@include now
local prefix, key = ARGV[1], ARGV[3]
--@include events
--@include entries
--@include quarantine
if not remove(ARGV[2]) then
  return 0
end
quarantine(KEYS[3], key, ARGV[4], ARGV[5])
if key ~= '' then
  local run = prefix .. 'run:' .. key
  local record = redis.call('HMGET', run, 'g', 'e')
  local generation = record[1]
  if generation and record[2] == ARGV[2] then -- else the record is another placement's
    redis.call('HSET', run, 's', 'failed', 'c', digits(now), 'e', '', 'y', ARGV[4])
    redis.call('PEXPIRE', run, 900000)
    changed(key, generation, 'failed')
  end
end
return 1
