-- Counts the executions in the whole docket that have not ended, except for those under the given keys. A worker that
-- runs until everything is done asks for this.
-- KEYS  work, front, schedule, wakes
-- ARGV  prefix, then keys whose executions are not counted
-- Reply entries on the streams (waiting or being run), executions on the schedule. Waiters are not counted: while there
--       is one, there is also an entry that holds the permit, or a limit that was left for a scheduler to look at.
local prefix = ARGV[1]
--@include entries
local entries = count_entries()
local scheduled = redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4])
for i = 2, #ARGV do
  local token = redis.pcall('HGET', prefix .. KEY.record .. ARGV[i], RECORD.entry)
  if type(token) == 'string' and token ~= '' then
    local id = string.sub(token, 2)
    entries = entries - #redis.call('XRANGE', stream_of(token), id, id)
  elseif
    redis.call('ZSCORE', KEYS[3], TAG.recorded .. ARGV[i]) or redis.call('ZSCORE', KEYS[3], TAG.lean .. ARGV[i])
  then
    scheduled = scheduled - 1
  end
end
return { entries, scheduled }
