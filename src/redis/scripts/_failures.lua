-- Keeps failures, the newest of them: the oldest go by age, by number and by bytes, as others are added. The bounds are those
-- with which a worker last kept one, and the defaults before that.
local failures, failure_bounds = prefix .. KEY.failures, prefix .. KEY.failure_bounds
local kept_failures -- what is known of them, once this script needs it
local failure_trims_left, failure_bytes_left = 2 * BATCH_ITEMS, 2 * BATCH_BYTES -- the bounds of this script

local function bytes_of_failure(fields)
  local bytes = FAILURE_OVERHEAD_BYTES
  for _, value in pairs(fields) do
    bytes = bytes + #value
  end
  return bytes
end

-- Reads number, bytes and bounds. A worker gives its own bounds: ttl (ms), number, bytes.
local function open_failures(bounds)
  local stored = redis.call('HMGET', failure_bounds,
    FAILURE_BOUNDS.bytes, FAILURE_BOUNDS.ttl, FAILURE_BOUNDS.count, FAILURE_BOUNDS.max_bytes)
  bounds = bounds or { stored[2], stored[3], stored[4] }
  local count = redis.call('XLEN', failures)
  kept_failures = {
    count = count,
    bytes = count > 0 and tonumber(stored[1] or '') or 0,
    ttl = tonumber(bounds[1] or '') or FAILURE_TTL_MS,
    max_count = tonumber(bounds[2] or '') or FAILURES_KEPT,
    max_bytes = tonumber(bounds[3] or '') or FAILURE_BYTES_KEPT,
  }
end

-- Removes a failure. Its bytes are no longer counted; the caller writes their number.
local function remove_failure(id, fields)
  redis.call('XDEL', failures, id)
  kept_failures.count = kept_failures.count - 1
  kept_failures.bytes = kept_failures.count > 0 and math.max(0, kept_failures.bytes - bytes_of_failure(fields)) or 0
end

-- Writes the number of bytes after failures were removed. Where it was never counted there is nothing to correct.
local function write_failure_bytes()
  if redis.call('EXISTS', failure_bounds) == 1 then
    redis.call('HSET', failure_bounds, FAILURE_BOUNDS.bytes, digits(kept_failures.bytes))
  end
end

-- Reading an entry copies it, so that is only done while there are too many, and once in each script to find old ones.
local function trim_failures()
  local kept = kept_failures
  while failure_trims_left > 0 and failure_bytes_left > 0 do
    local are_too_many = kept.count > kept.max_count or kept.bytes > kept.max_bytes
    local oldest = (are_too_many or not kept.are_recent) and redis.call('XRANGE', failures, '-', '+', 'COUNT', 1)[1]
    if not oldest then
      return
    end
    kept.are_recent = tonumber(string.match(oldest[1], '^%d+')) > now - kept.ttl
    if are_too_many or not kept.are_recent then
      local fields = fields_of(oldest[2])
      remove_failure(oldest[1], fields)
      failure_trims_left = failure_trims_left - 1
      failure_bytes_left = failure_bytes_left - bytes_of_failure(fields)
    end
  end
end

-- Keeps a failure. Task and number of attempts come from its message, if it has one; fields that are not given are empty.
local function keep_failure(fields)
  if not kept_failures then
    open_failures()
  end
  local message = fields[FAILURE.message] or ''
  local first, last = text_at(message, 3)
  local _, attempt_at = ttl_at(message)
  fields[FAILURE.task] = first and string.sub(message, first, last) or fields[FAILURE.task]
  fields[FAILURE.attempts] = attempt_at and digits(number_at(message, attempt_at) or 1)
  local kept, entry = kept_failures, {} -- all fields in one order, so that Redis need not store the names in each entry
  for _, name in ipairs(FAILURE_FIELDS) do
    entry[#entry + 1] = name
    entry[#entry + 1] = fields[name] or ''
  end
  redis.call('XADD', failures, '*', unpack(entry))
  kept.count = kept.count + 1
  kept.bytes = kept.bytes + bytes_of_failure(fields)
  trim_failures()
  redis.call('HSET', failure_bounds, FAILURE_BOUNDS.bytes, digits(kept.bytes), FAILURE_BOUNDS.ttl, digits(kept.ttl),
    FAILURE_BOUNDS.count, digits(kept.max_count), FAILURE_BOUNDS.max_bytes, digits(kept.max_bytes))
  if not kept.is_renewed then
    redis.call('PEXPIRE', failures, digits(kept.ttl))
    redis.call('PEXPIRE', failure_bounds, digits(kept.ttl))
    kept.is_renewed = true
  end
end
