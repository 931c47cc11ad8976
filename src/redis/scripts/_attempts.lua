-- While a retry waits, a record has the number, worker and start of the attempt before; the message has the number of the
-- attempt to come.
--@include fields
--@include message
--@include entries

-- Returns the number of the attempt that waits under a record that was claimed before, or nil when it is `attempt`, the one
-- in the record.
local function waiting_attempt(record_key, attempt)
  local parked = redis.call('HMGET', record_key, PARKED.message, RECORD.entry)
  local message, token = parked[1], parked[2]
  if not message and is_token(token or '') then
    local id = string.sub(token, 2)
    local entry = redis.call('XRANGE', stream_of(token), id, id)[1]
    message = entry and fields_of(entry[2])[ENTRY.message]
  end
  local _, at = ttl_at(message)
  local waiting = at and number_at(message, at) or 0
  return waiting > (tonumber(attempt) or 1) and digits(waiting) or nil
end
