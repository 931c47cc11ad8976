-- Counts the executions of a docket, and lists the first that are scheduled and the first that workers have.
-- KEYS  work, front, schedule, failures
-- ARGV  how many of each to list, prefix
-- Reply now, entries on all streams, those of them in workers' hands, executions on the schedule, failures,
--       { member, due, ... } of the schedule, { token, consumer, ... }
--@include now
local count, prefix = tonumber(ARGV[1]), ARGV[2]
--@include streams
local entries, delivered, deliveries = 0, 0, {}
for _, letter in ipairs(STREAM_LETTERS) do
  local stream = stream_of(letter)
  entries = entries + redis.call('XLEN', stream)
  -- Without a group nothing was read yet.
  local pending = redis.pcall('XPENDING', stream, GROUP)
  if not pending.err and tonumber(pending[1]) > 0 then
    delivered = delivered + pending[1]
    local left = count - #deliveries / 2
    for _, one in ipairs(left > 0 and redis.call('XPENDING', stream, GROUP, '-', '+', left) or {}) do
      deliveries[#deliveries + 1] = letter .. one[1]
      deliveries[#deliveries + 1] = one[2]
    end
  end
end

local future = count > 0 and redis.call('ZRANGE', KEYS[3], 0, count - 1, 'WITHSCORES') or {}

return { digits(now), entries, delivered, redis.call('ZCARD', KEYS[3]), redis.call('XLEN', KEYS[4]), future, deliveries }
