-- Counts the executions of a docket, and lists the first that are scheduled and the first that workers have.
-- KEYS  work, front, schedule, quarantine
-- ARGV  how many of each to list, prefix
-- Reply now, entries on all streams, those of them in workers' hands, executions on the schedule, messages in
--       quarantine, { member, due, ... } of the schedule, { token, consumer, ... }, { id, key, reason, ... } of the
--       newest in quarantine
--@include now
--@include fields
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

-- One by one: the messages beside the reasons may be long.
local quarantined, last, bytes = {}, '+', 0
while #quarantined < 3 * count and bytes < BATCH_BYTES do
  local entry = redis.call('XREVRANGE', KEYS[4], last, '-', 'COUNT', 1)[1]
  if not entry then
    break
  end
  local fields = fields_of(entry[2])
  quarantined[#quarantined + 1] = entry[1]
  quarantined[#quarantined + 1] = fields[QUARANTINE.key] or ''
  quarantined[#quarantined + 1] = fields[QUARANTINE.reason] or ''
  bytes = bytes + string.len(fields[QUARANTINE.message] or '')
  last = '(' .. entry[1]
end
local scheduled, quarantine_length = redis.call('ZCARD', KEYS[3]), redis.call('XLEN', KEYS[4])
return { digits(now), entries, delivered, scheduled, quarantine_length, future, deliveries, quarantined }
