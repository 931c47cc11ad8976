-- Claims the usual executions among those that the read before it, on the same connection, has just brought: first deliveries
-- of first attempts, of tasks that need nothing but a claim. Everything else is left as it is, for claim.lua and admit.lua.
-- So are executions that meet an error here.
-- KEYS  work
-- ARGV  prefix, consumer, worker, the id from which entries may be claimed, version of the messages, then names of tasks
-- Reply now (ms), then the tokens that were claimed
--@include now
local prefix, consumer, worker = ARGV[1], ARGV[2], ARGV[3]
local records = prefix .. KEY.record
--@include events
--@include guard
--@include start

local version, tasks = tonumber(ARGV[5]), {}
for i = 6, #ARGV do
  tasks[ARGV[i]] = true
end

local usual = { [ENTRY.key] = true, [ENTRY.message] = true, [ENTRY.due] = true }

local function needs_only_claim(fields)
  for name in pairs(fields) do
    if not usual[name] then
      return false
    end
  end
  local message = fields[ENTRY.message]
  if not message or not fields[ENTRY.key] or string.byte(message, 2) ~= version then
    return false
  end
  local first, last = text_at(message, 3)
  if not first or not tasks[string.sub(message, first, last)] then
    return false
  end
  local _, at = number_at(message, last + 1)
  return at and number_at(message, at) == 1
end

local reply, bytes = { digits(now) }, 0

local function claim(id)
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  local fields = entry and fields_of(entry[2]) or {}
  bytes = bytes + #(fields[ENTRY.message] or '')
  if not needs_only_claim(fields) then
    return
  end
  local token, record_key = STREAM.work .. id, records .. fields[ENTRY.key]
  if redis.call('HGET', record_key, RECORD.entry) ~= token then
    return
  end
  start(record_key, '1')
  reply[#reply + 1] = token
  if are_all_heard then
    publish_state(fields[ENTRY.key], redis.call('HGET', record_key, RECORD.generation), 'running')
  end
end

for _, pending in ipairs(redis.call('XPENDING', KEYS[1], GROUP, ARGV[4], '+', CLAIMED_WITH_READ, consumer)) do
  problem_of(claim, pending[1])
  if bytes > BATCH_BYTES then
    break
  end
end
return reply
