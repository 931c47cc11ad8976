-- Redelivers executions whose lease ran out. Nothing is taken over in place: the old entry is deleted and a new one
-- added, and with it goes the right to settle. An execution whose record cannot be used goes into quarantine.
-- KEYS  work, front
-- ARGV  prefix, lease (ms), then tokens
-- Reply tokens that were redelivered (after 1 MiB the rest waits for the next sweep)
--@include now
--@include memory
local prefix, lease = ARGV[1], ARGV[2]
--@include events
--@include entries
--@include moves
--@include permits
--@include message
--@include quarantine
--@include guard

-- Whether an execution that has a booking was admitted: then its rate has counted it, and it starts as it is. Without a
-- record, only its booking says so, which admission removes.
local function is_counted(moving, state)
  if state then
    return state == 'running'
  end
  local attempt, name = string.match(moving[ENTRY.booking], '(%S+) (%S+)')
  if not name then
    return false
  end
  local start = LETTER.lean .. id_of(moving[ENTRY.message]) .. ' ' .. moving[ENTRY.due] .. ' ' .. attempt
  return not redis.pcall('ZSCORE', prefix .. KEY.booked .. name, start) -- an error where a key of another type is in its place
end

local function redeliver(moving, state, generation, was_alone)
  local deliveries = tonumber(moving[ENTRY.deliveries] or 0) or 0
  if was_alone then
    moving[ENTRY.charges] = digits((tonumber(moving[ENTRY.charges] or 0) or 0) + 1)
  end
  moving[ENTRY.deliveries] = digits(deliveries + 1)
  -- An execution that has started had passed its limits. Without a record nobody knows whether it has started.
  if state == 'running' or not state then
    moving[ENTRY.stage] = STAGE.attempt_admitted
  end
  moving[ENTRY.holds_permits] = nil
  if moving[ENTRY.booking] and is_counted(moving, state) then
    moving[ENTRY.booking] = nil
  end
  if state == 'running' then
    -- The next attempt counts from 0.
    redis.call('HDEL', prefix .. KEY.record .. moving[ENTRY.key], unpack(PROGRESS_FIELDS))
  end
  enqueue(STREAM.front, moving)
  if moving[ENTRY.key] and has_listeners then
    publish_state(moving[ENTRY.key], generation, 'queued')
  end
end

local redelivered, removed, bytes = {}, {}, 0
local refusal -- why it cannot go on
for i = 3, #ARGV do
  if bytes > BATCH_BYTES then
    break
  end
  local token = ARGV[i]
  local stream, id = stream_of(token), string.sub(token, 2)
  -- Between the sweeper's look and this script the owner may have renewed or settled.
  local pending = redis.call('XPENDING', stream, GROUP, 'IDLE', lease, id, id, 1)[1]
  if pending then
    local moving = read_entry(token)
    local record = moving and moving[ENTRY.key] and redis.pcall('HMGET', prefix .. KEY.record .. moving[ENTRY.key],
      RECORD.entry, RECORD.state, RECORD.cancelled, RECORD.generation) or {}
    if record.err and is_forbidden(record.err) then
      refusal = record.err
      break
    end
    remove(token)
    removed[#removed + 1] = token
    if moving then
      bytes = bytes + string.len(moving[ENTRY.message] or '')
      if record.err then
        put_away(moving, record.err)
      elseif moving[ENTRY.key] and record[1] ~= token then
        redis.call('SREM', prefix .. KEY.superseded, token) -- the record has moved on without this one
      elseif record[3] == '1' then
        end_execution(moving[ENTRY.key], ttl_of(moving[ENTRY.message]), 'cancelled')
      else
        -- Its process died. An execution is charged only if it has the mark that nothing else had started there.
        local problem = problem_of(function()
          redeliver(moving, record[2], record[4], pending[4] >= DELIVERY_COUNT.alone)
          redelivered[#redelivered + 1] = token
        end)
        if problem then
          put_away(moving, problem)
        end
      end
    end
  end
end
release_permits(removed)
write_permits()
return #removed == 0 and refusal and redis.error_reply(refusal) or redelivered
