-- Removes an execution that has a record and has not started from where it is: its entry with its permits, its place
-- in line at a limit, or its place on the schedule, and what it has at its other limits. The record stays, for the
-- caller to end or to overwrite. Returns the message.
local function displace(key)
  local record = redis.call('HMGET', prefix .. KEY.record .. key,
    RECORD.entry, PARKED.limit, PARKED.message, PARKED.debounce, PARKED.booking, RECORD.generation)
  local token, limit, message, debounce, booking = record[1], record[2], record[3], record[4], record[5]
  if is_token(token or '') then
    local moving = read_entry(token) or {}
    remove(token)
    release_permits({ token })
    message, debounce, booking = moving[ENTRY.message], moving[ENTRY.debounce], moving[ENTRY.booking]
  elseif limit then
    redis.call('ZREM', prefix .. KEY.limit .. limit, LETTER.recorded .. key)
    serve_waiters(limit) -- the next in line may need less
  else
    redis.call('ZREM', KEYS[3], LETTER.recorded .. key)
  end
  forget_limits(LETTER.recorded .. key, record[6], debounce, booking)
  return message
end

-- Makes room under a key for another execution: one that runs goes on, but nothing of it is written any more; one that has
-- not started is removed.
local function supersede_or_displace(key, state, token)
  if state == 'running' then
    redis.call('SADD', prefix .. KEY.superseded, token)
    redis.call('PEXPIRE', prefix .. KEY.superseded, SUPERSEDED_TTL_MS)
    -- It may be claimed and not started yet.
    redis.pcall(publish_command(), KEYS[#KEYS] .. CHANNEL.cancel, LETTER.superseded .. token)
  elseif state == 'scheduled' or state == 'queued' then
    displace(key)
  end
end
