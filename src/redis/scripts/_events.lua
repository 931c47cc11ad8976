-- Events cost 1.5 us to publish even when nobody listens, so a marker that listeners keep alive is looked up once a script.
local listened = redis.call('EXISTS', prefix .. 'listeners') == 1

-- Publishes `<generation> <kind> <server time in us>` and lines of more. The time is for those who also read the record: it
-- says which of the two is newer. Publishing may be forbidden to this user (channel permissions); that must not undo half a
-- script, and who waits looks by itself too.
local function publish(key, generation, kind, lines)
  local head = digits(generation) .. ' ' .. kind .. ' ' .. digits(time[1] * 1000000 + time[2])
  redis.pcall('PUBLISH', prefix .. 'events:' .. key, head .. '\n' .. table.concat(lines, '\n'))
end

-- Tells those who wait for this execution that its record has changed: due time, began, ended, attempt, worker, error.
local function changed(key, generation, state)
  if listened then
    local lines = redis.call('HMGET', prefix .. 'run:' .. key, 'w', 'b', 'c', 'a', 'k', 'y')
    for i = 1, 6 do
      lines[i] = lines[i] and string.gsub(lines[i], '\n', ' ') or ''
    end
    local hasEnded = state == 'completed' or state == 'failed' or state == 'cancelled'
    if lines[3] == '' and hasEnded then
      lines[3] = digits(now)
    end
    publish(key, generation, state, lines)
  end
end
