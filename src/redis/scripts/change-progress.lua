-- Changes the progress of an execution from outside, or from its body through its handle. An execution that has ended,
-- or whose key or entry has passed to another, is left alone.
-- KEYS  the record
-- ARGV  prefix, key, generation ('' from its body), 'increment' | 'total' | 'message', value, token ('' from outside)
-- Reply nothing when there is no record, else its generation, and unless it is another one: current, total, time of the
--       last change ('' never), message
--@include now
local prefix, key, change, value = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
--@include events
--@include progress

local old = redis.call('HMGET', KEYS[1],
  RECORD.state, PROGRESS.updated, RECORD.entry,
  RECORD.generation, PROGRESS.counted, PROGRESS.added, PROGRESS.total, PROGRESS.message)
local state, updated, entry = table.remove(old, 1), table.remove(old, 1), table.remove(old, 1)
local is_same = ARGV[3] == old[1]
if ARGV[6] ~= '' then
  is_same = ARGV[6] == entry
end
if not state then
  return {}
elseif not is_same then
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
