-- Takes ownership of executions that were read and have a record. The record names the only entry that may be claimed.
-- An entry that was replaced, settled or redelivered since it was read is refused and removed.
-- KEYS  work, front
-- ARGV  prefix, worker, then for each item: key, token, attempt
-- Reply indexes (from 0) of the items that were refused
--@include now
--@include memory
local prefix, worker = ARGV[1], ARGV[2]
local records = prefix .. KEY.record
--@include events
--@include entries
--@include start

local refused = {}
for at = 3, #ARGV, 3 do
  local key, token, attempt = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local record_key = records .. key
  if redis.call('HGET', record_key, RECORD.entry) ~= token then
    remove(token)
    redis.call('SREM', prefix .. KEY.superseded, token)
    refused[#refused + 1] = (at - 3) / 3
  else
    start(record_key, attempt)
    if has_listeners then
      publish_state(key, redis.call('HGET', record_key, RECORD.generation), 'running')
    end
  end
end
return refused
