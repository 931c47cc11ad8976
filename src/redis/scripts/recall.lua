-- Recalls executions: makes those due at once that were rerouted because no live worker had one of these tasks. Looks at
-- `limit` executions at most.
-- KEYS  schedule
-- ARGV  prefix, limit, names of tasks
-- Reply how many it looked at: `limit` when there may be more
--@include now
local prefix, limit = ARGV[1], tonumber(ARGV[2])
local schedule = KEYS[1]
local seen, recalled = 0, 0
for i = 3, #ARGV do
  if seen >= limit then
    break
  end
  local rerouted = prefix .. KEY.rerouted .. ARGV[i]
  local room = limit - seen
  local page = redis.call('ZRANGE', rerouted, 0, room - 1, 'WITHSCORES')
  if #page < 2 * room then
    redis.call('SREM', prefix .. KEY.recallable, ARGV[i])
  end
  for at = 1, #page, 2 do
    local member, due = page[at], tonumber(page[at + 1])
    redis.call('ZREM', rerouted, member)
    seen = seen + 1
    -- It may have moved on meanwhile. If it is on the schedule then, it was put there for another reason.
    if due > now and tonumber(redis.call('ZSCORE', schedule, member) or 0) == due then
      redis.call('ZADD', schedule, 'XX', digits(now), member)
      recalled = recalled + 1
    end
  end
end
if recalled > 0 then
  redis.pcall(publish_command(), KEYS[#KEYS] .. CHANNEL.wake, digits(now))
end
return seen
