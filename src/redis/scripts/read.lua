-- Reads one execution: its record and, while it is queued or running, the message in its entry.
-- KEYS  work, front, the record
-- ARGV  prefix
-- Reply the record's fields and values (empty when there is no record), the server's time in us under the name '', and
--       the message last ('' when it is not there)
--@include now
local prefix = ARGV[1]
--@include entries
--@include fields
local record = redis.call('HGETALL', KEYS[3])
if #record == 0 then
  return {}
end
local token = redis.call('HGET', KEYS[3], RECORD.entry)
local message = ''
if is_token(token or '') then
  local entry = redis.call('XRANGE', stream_of(token), string.sub(token, 2), string.sub(token, 2))[1]
  message = entry and fields_of(entry[2])[ENTRY.message] or ''
end
record[#record + 1] = ''
record[#record + 1] = digits(time[1] * 1000000 + time[2])
record[#record + 1] = message
return record
