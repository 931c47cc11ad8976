-- Keeps what can never run where an operator finds it: the newest 1,000, for a week.
local function quarantine(stream, key, reason, message)
  redis.call('XADD', stream, 'MAXLEN', '~', 1000, '*', 'key', key, 'reason', reason, 'message', message or '')
  redis.call('PEXPIRE', stream, 604800000)
end
