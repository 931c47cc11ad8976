-- Writes that an execution with a record has started. The script names the `worker` before it includes this.
local started = digits(now)

local function start(record_key, attempt)
  if attempt == '1' then -- the usual case, one field less
    redis.call('HSET', record_key, RECORD.state, 'running', RECORD.worker, worker, RECORD.started, started)
  else
    redis.call('HSET', record_key,
      RECORD.state, 'running', RECORD.worker, worker, RECORD.started, started, RECORD.attempt, attempt)
  end
end
