-- Takes an execution that has a record and has not started out of wherever it is. Answers with its message.
local function displace(key)
  local record = redis.call('HMGET', prefix .. 'run:' .. key, 'e', 'l', 'm', 'pq', 'pu', 'g')
  local token, limit, message, settling, booked = record[1], record[2], record[3], record[4], record[5]
  if token and token ~= '' then
    local moving = read_entry(token) or {}
    remove(token)
    release_slots({ token })
    message, settling, booked = moving.m, moving.q, moving.u
  elseif limit then
    redis.call('ZREM', prefix .. 'limit:' .. limit, 'k' .. key)
    serve_waiters(limit) -- whoever comes behind may need less
  else
    redis.call('ZREM', KEYS[3], 'k' .. key)
  end
  forget_limits('k' .. key, record[6], settling, booked)
  return message
end
