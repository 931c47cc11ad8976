-- Retries failures: places each execution again, with its arguments, as its first attempt, and removes the failure. Both happen
-- here, so a retry that is sent again because its reply was lost finds no failure and places nothing. An execution without a
-- record goes to the stream of its priority under its id, unless the id is parked: then the next run of its chain waits. An
-- execution with a record is placed only when no unfinished execution has its key.
-- KEYS  work, front, schedule, strikes
-- ARGV  prefix, version of the strikes they were checked against, then ids
-- Reply for each id in order what became of it (RETRY), or the reason why it cannot run: fewer than there are ids, after
--       1 MiB; nothing when the strikes have changed, and nothing was written
--@include now
--@include strikes
if have_strikes_changed(KEYS[4], ARGV[2]) then
  return false
end
local prefix = ARGV[1]
--@include events
--@include entries
--@include moves
--@include generation
--@include place
local opened_failures
--@include failures
--@include guard

-- Returns the message with the number of its first attempt; nil when it cannot be read.
local function as_first_attempt(message)
  local _, at = ttl_at(message)
  local _, behind = number_at(message or '', at or 0)
  return behind and string.sub(message, 1, at - 1) .. string.char(1) .. string.sub(message, behind)
end

-- This comes first, because it takes memory: a full server refuses it, and with it the whole script.
local generation = next_generations(#ARGV - 2)
local kept = failures()

local function retry(fields, message)
  local key, task, priority = fields[FAILURE.key], fields[FAILURE.task], fields[FAILURE.priority] or PRIORITY.normal
  if fields[FAILURE.is_lean] == '1' and redis.call('EXISTS', prefix .. KEY.parked .. key) == 1 then
    return RETRY.taken
  elseif fields[FAILURE.is_lean] == '1' then
    redis.call('ZREM', prefix .. KEY.cancelled, key) -- a cancel from before was for the run that failed
    enqueue(STREAM.work, { [ENTRY.message] = message, [ENTRY.priority] = priority ~= PRIORITY.normal and priority or nil })
  elseif is_alive(redis.call('HGET', prefix .. KEY.record .. key, RECORD.state)) then
    return RETRY.taken
  else
    place(key, task, generation, now, message, '', priority) -- a chain is noted when a run of it ends
  end
  generation = generation + 1
  return RETRY.retried
end

local reply, bytes = {}, 0
for at = 3, #ARGV do
  if bytes > BATCH_BYTES then
    break
  end
  local fields = kept.find(ARGV[at])
  local message = fields and as_first_attempt(fields[FAILURE.message])
  bytes = bytes + (fields and kept.bytes_of(fields) or 0)
  local result
  local problem = problem_of(function()
    result = message and retry(fields, message)
  end)
  if problem and is_forbidden(problem) then
    return redis.error_reply(problem)
  elseif result == RETRY.retried then
    kept.remove(ARGV[at], fields)
  end
  reply[#reply + 1] = result or problem or (fields and 'its message cannot be read' or RETRY.missing)
end
kept.write_bytes()
return reply
