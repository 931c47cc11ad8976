-- Writes the progress of executions that run here. Nothing is written of an execution that has passed on meanwhile.
-- KEYS  work
-- ARGV  prefix, then for each execution: key, token, current, total ('' as it is), '1' when the message changed,
--       message
--@include now
--@include memory
local prefix = ARGV[1]
--@include events
--@include progress

local function report(at)
  local key = ARGV[at]
  local old = redis.call('HMGET', prefix .. KEY.record .. key,
    RECORD.entry,
    RECORD.generation, PROGRESS.counted, PROGRESS.added, PROGRESS.total, PROGRESS.message)
  if table.remove(old, 1) == ARGV[at + 1] then
    local total = ARGV[at + 3] ~= '' and ARGV[at + 3] or nil
    local message = ARGV[at + 4] == '1' and ARGV[at + 5] or nil
    write_progress(key, old, ARGV[at + 2], nil, total, message)
  end
end

for at = 2, #ARGV, 6 do
  pcall(report, at) -- a record that cannot be used has no progress to show
end
return 1
