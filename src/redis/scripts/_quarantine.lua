-- Keeps a message that can never run where an operator finds it.
local function quarantine(stream, key, reason, message)
  redis.call('XADD', stream, 'MAXLEN', '~', QUARANTINE_ENTRIES, '*',
    QUARANTINE.key, key, QUARANTINE.reason, reason, QUARANTINE.message, message or '')
  redis.call('PEXPIRE', stream, QUARANTINE_TTL_MS)
end
