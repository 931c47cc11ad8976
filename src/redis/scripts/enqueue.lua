-- Adds executions that keep no record and are due now: one stream entry each, nothing else.
-- KEYS  work, strikes, large, high, low
-- ARGV  version of the strikes they were checked against, letters of the streams, one for each message ('' when all are for
--       work), message, ...
-- Reply now (ms), or '' when the strikes have changed and nothing was written
--@include now
--@include strikes
--@include large
if have_strikes_changed(KEYS[2], ARGV[1]) then
  return ''
end
-- Looked up once: the loop body is all that this script costs.
local call, work, letters, has_large = redis.call, KEYS[1], ARGV[2], false
local stream_of = { [STREAM.high] = KEYS[4], [STREAM.low] = KEYS[5] }
for i = 3, #ARGV do
  local message = ARGV[i]
  call('XADD', letters ~= '' and stream_of[string.sub(letters, i - 2, i - 2)] or work, '*', ENTRY.message, message)
  if #message > LARGE_BYTES then
    has_large = true
  end
end
if has_large then
  announce_large(KEYS[3])
end
return digits(now)
