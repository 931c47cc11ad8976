-- Writes how far executions are that run here. Of those that have passed on meanwhile nothing is written.
-- KEYS  work
-- ARGV  prefix, then for each execution: key, token, current, total ('' as it is), '1' when the message changed, message
--@include now
--@include memory
local prefix = ARGV[1]
--@include events
--@include progress

for at = 2, #ARGV, 6 do
  local key = ARGV[at]
  local old = redis.call('HMGET', prefix .. 'run:' .. key, 'e', 'g', 'i', 'j', 'o', 'u')
  if table.remove(old, 1) == ARGV[at + 1] then
    local total = ARGV[at + 3] ~= '' and ARGV[at + 3] or nil
    local message = ARGV[at + 4] == '1' and ARGV[at + 5] or nil
    write_progress(key, old, ARGV[at + 2], nil, total, message)
  end
end
return 1
