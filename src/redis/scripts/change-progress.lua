-- Changes the progress of an execution from outside. An execution that has ended, or whose key has passed to a newer
-- one, is left alone.
-- KEYS  the record
-- ARGV  prefix, key, generation, 'increment' | 'total' | 'message', value
-- Reply nothing when there is no record, else its generation, and unless it is another one: current, total, time of the
--       last change ('' never), message
--@include now
local prefix, key, change, value = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
--@include events
--@include progress

local old = redis.call('HMGET', KEYS[1],
  RECORD.state, PROGRESS.updated,
  RECORD.generation, PROGRESS.counted, PROGRESS.added, PROGRESS.total, PROGRESS.message)
local state, updated = table.remove(old, 1), table.remove(old, 1)
if not state then
  return {}
elseif old[1] ~= ARGV[3] then
  return { old[1] }
end
local progress
if is_terminal(state) then
  progress = { digits((old[2] or 0) + (old[3] or 0)), old[4] or DEFAULT_TOTAL, updated or '', old[5] or '' }
elseif change == 'increment' then
  progress = write_progress(key, old, nil, digits((old[3] or 0) + value))
elseif change == 'total' then
  progress = write_progress(key, old, nil, nil, value)
else
  progress = write_progress(key, old, nil, nil, nil, value)
end
return { old[1], unpack(progress) }
