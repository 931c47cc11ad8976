-- Finds out which executions are at the given locations: reads their records, or their messages when they have none.
-- A location is the letter of an entry and its token, or a member of the schedule or of a limit.
-- KEYS  work, front
-- ARGV  prefix, then locations
-- Reply for each, until 1 MiB of messages was read: { key ('' without a record), task, attempt, state, worker, started
--       (of a record), head of the message (without a record), limit whose rate or debounce made it wait ('' none),
--       priority }, empty when it has gone elsewhere, or when its record cannot be used
local prefix = ARGV[1]
--@include now
--@include entries
--@include attempts
--@include moves

local function limit_of(booking, debounce, stage)
  return booking and string.match(booking, ' (%S+)') or stage == STAGE.debounce_over and debounce or ''
end

local function from_record(key, priority)
  local record = redis.call('HMGET', prefix .. KEY.record .. key,
    RECORD.task, RECORD.attempt, RECORD.state, RECORD.worker, RECORD.started,
    PARKED.booking, PARKED.debounce, PARKED.stage, PARKED.priority)
  if record[5] and (record[3] == 'scheduled' or record[3] == 'queued') then
    local waiting = waiting_attempt(prefix .. KEY.record .. key, record[2])
    if waiting then
      record[2], record[4], record[5] = waiting, '', ''
    end
  end
  return { key, record[1] or '', record[2] or '1', record[3] or '', record[4] or '', record[5] or '', '',
    limit_of(record[6], record[7], record[8]), priority or record[9] or '' }
end

local replies, bytes = {}, 0
local function from_message(message, limit, priority)
  bytes = bytes + string.len(message)
  return { '', '', '', '', '', '', string.sub(message, 1, MESSAGE_HEAD_BYTES), limit, priority or '' }
end

local function look_at(location)
  local letter, name = string.sub(location, 1, 1), string.sub(location, 2)
  if letter == LETTER.recorded then
    return from_record(name)
  elseif letter == LETTER.lean then
    local parked = redis.call('HMGET', (parked_at(location)),
      PARKED.message, PARKED.booking, PARKED.debounce, PARKED.stage, PARKED.priority)
    return from_message(parked[1] or '', limit_of(parked[2], parked[3], parked[4]), parked[5])
  end
  local moving = read_entry(name)
  if moving and moving[ENTRY.key] then
    bytes = bytes + string.len(moving[ENTRY.message] or '')
    return from_record(moving[ENTRY.key], moving[ENTRY.priority])
  elseif moving then
    return from_message(moving[ENTRY.message] or '', '', moving[ENTRY.priority])
  end
end

for i = 2, #ARGV do
  local is_done, reply = pcall(look_at, ARGV[i])
  replies[#replies + 1] = is_done and reply or {}
  if bytes > BATCH_BYTES then
    break
  end
end
return replies
