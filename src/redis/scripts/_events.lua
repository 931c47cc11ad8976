-- Publishing costs 1.5 us even when nobody listens, so each script looks once for the marker that listeners keep alive.
local has_listeners = redis.call('EXISTS', prefix .. KEY.listeners) == 1
--@include states
--@include attempts

-- Publishes `<generation> <kind> <server time in us>` and then `lines`. A listener that also reads the record tells by
-- the time which of the two is newer. This user may not be allowed to publish (channel permissions). That must not undo
-- half a script, and listeners also look at the record by themselves.
local function publish(key, generation, kind, lines)
  local head = digits(tonumber(generation) or 0) .. ' ' .. kind .. ' ' .. digits(time[1] * 1000000 + time[2])
  redis.pcall('PUBLISH', KEYS[#KEYS] .. CHANNEL.events .. key, head .. '\n' .. table.concat(lines, '\n'))
end

-- Publishes the state of an execution after its record has changed.
local function publish_state(key, generation, state)
  if has_listeners then
    local lines = redis.call('HMGET', prefix .. KEY.record .. key, unpack(EVENT_FIELDS))
    for i = 1, #lines do
      lines[i] = lines[i] and string.gsub(lines[i], '\n', ' ') or ''
    end
    if lines[STARTED_LINE] ~= '' and (state == 'scheduled' or state == 'queued') then
      local waiting = waiting_attempt(prefix .. KEY.record .. key, lines[ATTEMPT_LINE])
      if waiting then
        lines[ATTEMPT_LINE], lines[STARTED_LINE], lines[WORKER_LINE] = waiting, '', ''
      end
    end
    if lines[ENDED_LINE] == '' and is_terminal(state) then
      lines[ENDED_LINE] = digits(now)
    end
    publish(key, generation, state, lines)
  end
end
