-- Counts the executions in the whole docket that have not ended, except for those under the given keys. A worker that
-- runs until everything is done asks for this.
-- KEYS  work, front, schedule, wakes
-- ARGV  prefix, then keys whose executions are not counted
-- Reply entries on the streams (waiting or being run), executions on the schedule, executions of paused tasks. Waiters at
--       limits are not counted: while there is one, there is also an entry that holds the permit, or a limit that was left for
--       a scheduler to look at. So are those of tasks that were just resumed.
local prefix = ARGV[1]
--@include entries
--@include pauses
local entries = count_entries()
local scheduled = redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4])
local paused = 0
for line in pairs(paused_lines()) do
  if is_line_of_pause(line) then
    paused = paused + redis.call('ZCARD', prefix .. KEY.limit .. line)
  end
end

-- Whether an execution waits in the line of a paused task.
local function is_in_line(parked, member)
  local line = redis.pcall('HGET', prefix .. parked .. string.sub(member, 2), PARKED.limit)
  return type(line) == 'string' and is_paused(line) and redis.call('ZSCORE', prefix .. KEY.limit .. line, member)
end

for i = 2, #ARGV do
  local token = redis.pcall('HGET', prefix .. KEY.record .. ARGV[i], RECORD.entry)
  if type(token) == 'string' and token ~= '' then
    local id = string.sub(token, 2)
    entries = entries - #redis.call('XRANGE', stream_of(token), id, id)
  elseif
    redis.call('ZSCORE', KEYS[3], LETTER.recorded .. ARGV[i]) or redis.call('ZSCORE', KEYS[3], LETTER.lean .. ARGV[i])
  then
    scheduled = scheduled - 1
  elseif is_in_line(KEY.record, LETTER.recorded .. ARGV[i]) or is_in_line(KEY.parked, LETTER.lean .. ARGV[i]) then
    paused = paused - 1
  end
end
return { entries, scheduled, paused }
