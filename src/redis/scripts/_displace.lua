-- Takes an execution that has a record and has not started out of wherever it is. `record` is its fields s, e, l, m, pq.
-- Answers with its message.
local function displace(key, record)
  local state, token, limit, message, settling = record[1], record[2], record[3], record[4], record[5]
  if token and token ~= '' then
    local moving = read_entry(token) or {}
    remove(token)
    release_slots({ token })
    message, settling = moving.m, moving.q
  elseif limit then
    redis.call('ZREM', prefix .. 'limit:' .. limit, 'k' .. key)
    serve_waiters(limit) -- whoever comes behind may need less
  else
    redis.call('ZREM', KEYS[3], 'k' .. key)
  end
  if settling then
    local debounce = prefix .. 'debounce:' .. settling
    if redis.call('HGET', debounce, 'winner') == 'k' .. key then
      redis.call('DEL', debounce)
    end
  end
  return message
end
