-- Publishing costs 1.5 us even when nobody listens, so each script looks once for the marker that listeners keep alive.
local listened_for = redis.call('GET', prefix .. KEY.listeners)
local has_listeners = listened_for ~= false
local are_all_heard = has_listeners and listened_for ~= LISTENED_FOR.ends
--@include states
--@include attempts

-- Publishes `<generation> <kind> <server time in us>` and then `lines`. A listener that also reads the record tells by
-- the time which of the two is newer. This user may not be allowed to publish (channel permissions). That must not undo
-- half a script, and listeners also look at the record by themselves.
local function publish(key, generation, kind, lines)
  local head = digits(tonumber(generation) or 0) .. ' ' .. kind .. ' ' .. digits(time[1] * 1000000 + time[2])
  redis.pcall(publish_command(), KEYS[#KEYS] .. CHANNEL.events .. key, head .. '\n' .. table.concat(lines, '\n'))
end

-- Returns the lines of an event that tell the outcome of an execution whose record gets these fields and values; nil when
-- it is large.
local function outcome_of(...)
  local fields, outcome = { ... }, EVENT_OUTCOME.none
  for at = 1, #fields, 2 do
    local line = fields[at] == RECORD.result and EVENT_OUTCOME.result
      or fields[at] == RECORD.error and EVENT_OUTCOME.error
    if line and #fields[at + 1] > EVENT_OUTCOME_BYTES then
      return nil
    elseif line then
      outcome = line .. '\n' .. fields[at + 1]
    end
  end
  return outcome
end

-- Publishes the state of an execution after its record has changed. `outcome` are the last lines of the event that ends an
-- execution (outcome_of). They are left out where the record has more to tell: progress, or an error line that is several.
local function publish_state(key, generation, state, outcome)
  if has_listeners then
    local lines = redis.call('HMGET', prefix .. KEY.record .. key, PROGRESS.updated, unpack(EVENT_FIELDS))
    local has_progress = table.remove(lines, 1)
    if has_progress or string.find(lines[ERROR_LINE] or '', '\n', 1, true) then
      outcome = nil
    end
    for i = 1, #lines do
      lines[i] = lines[i] or ''
    end
    -- All other lines are numbers.
    lines[WORKER_LINE] = string.gsub(lines[WORKER_LINE], '\n', ' ')
    lines[ERROR_LINE] = string.gsub(lines[ERROR_LINE], '\n', ' ')
    if lines[STARTED_LINE] ~= '' and (state == 'scheduled' or state == 'queued') then
      local waiting = waiting_attempt(prefix .. KEY.record .. key, lines[ATTEMPT_LINE])
      if waiting then
        lines[ATTEMPT_LINE], lines[STARTED_LINE], lines[WORKER_LINE] = waiting, '', ''
      end
    end
    if lines[ENDED_LINE] == '' and is_terminal(state) then
      lines[ENDED_LINE] = digits(now)
    end
    lines[#lines + 1] = outcome
    publish(key, generation, state, lines)
  end
end
