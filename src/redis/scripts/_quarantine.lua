-- Keeps messages that can never run where an operator finds them.
local function quarantine(key, reason, message)
  local stream = prefix .. KEY.quarantine
  redis.call('XADD', stream, 'MAXLEN', '~', QUARANTINE_ENTRIES, '*',
    QUARANTINE.key, key, QUARANTINE.reason, reason, QUARANTINE.message, message or '')
  redis.call('PEXPIRE', stream, QUARANTINE_TTL_MS)
end

-- Puts away an execution, as the fields of its entry, because of the error that was met with its record or, if it has none,
-- with the hash in which it is parked.
local function put_away(moving, problem)
  quarantine(moving[ENTRY.key] or '', 'its record cannot be used: ' .. problem, moving[ENTRY.message])
end
