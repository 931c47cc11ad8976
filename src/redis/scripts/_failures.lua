-- Keeps failures. As failures are added, the oldest are removed beyond the bounds on age, number and bytes. The bounds are those
-- of the worker that kept a failure last, or the defaults. A script declares `opened_failures` before it includes this, and
-- includes it where it has a failure to keep: making these functions costs every run something, and few runs have one.

-- Returns the functions that keep and remove failures. A worker gives its bounds: ttl (ms), number, bytes.
local function failures(bounds)
  if opened_failures and not bounds then
    return opened_failures
  end
  local stream, account = prefix .. KEY.failures, prefix .. KEY.failure_bounds
  local stored = redis.call('HMGET', account,
    FAILURE_BOUNDS.bytes, FAILURE_BOUNDS.ttl, FAILURE_BOUNDS.count, FAILURE_BOUNDS.max_bytes)
  bounds = bounds or { stored[2], stored[3], stored[4] }
  local ttl = tonumber(bounds[1] or '') or FAILURE_TTL_MS
  local max_count = tonumber(bounds[2] or '') or FAILURES_KEPT
  local max_bytes = tonumber(bounds[3] or '') or FAILURE_BYTES_KEPT
  local count = redis.call('XLEN', stream)
  local bytes = count > 0 and tonumber(stored[1] or '') or 0
  local trims_left, trimmed_bytes_left = 2 * BATCH_ITEMS, 2 * BATCH_BYTES -- the bounds of this script
  local are_recent, is_renewed = false, false

  local function bytes_of(fields)
    local sum = FAILURE_OVERHEAD_BYTES
    for _, value in pairs(fields) do
      sum = sum + #value
    end
    return sum
  end

  local function find(id)
    local entry = redis.call('XRANGE', stream, id, id)[1]
    return entry and fields_of(entry[2])
  end

  -- Removes a failure. Its bytes are no longer counted; the caller writes their number.
  local function remove(id, fields)
    redis.call('XDEL', stream, id)
    count = count - 1
    bytes = count > 0 and math.max(0, bytes - bytes_of(fields)) or 0
  end

  -- Writes the number of bytes after failures were removed. Where it was never counted there is nothing to correct.
  local function write_bytes()
    if redis.call('EXISTS', account) == 1 then
      redis.call('HSET', account, FAILURE_BOUNDS.bytes, digits(bytes))
    end
  end

  -- Reading an entry copies it, so that is only done while there are too many, and once in each script to find old ones.
  local function trim_failures()
    while trims_left > 0 and trimmed_bytes_left > 0 do
      local are_too_many = count > max_count or bytes > max_bytes
      local oldest = (are_too_many or not are_recent) and redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
      if not oldest then
        return
      end
      are_recent = tonumber(string.match(oldest[1], '^%d+')) > now - ttl
      if are_too_many or not are_recent then
        local fields = fields_of(oldest[2])
        remove(oldest[1], fields)
        trims_left = trims_left - 1
        trimmed_bytes_left = trimmed_bytes_left - bytes_of(fields)
      end
    end
  end

  -- Keeps a failure. Task and number of attempts come from its message, if it has one; fields that are not given are empty.
  local function keep(fields)
    local message = fields[FAILURE.message] or ''
    local first, last = text_at(message, 3)
    local _, attempt_at = ttl_at(message)
    fields[FAILURE.task] = first and string.sub(message, first, last) or fields[FAILURE.task]
    fields[FAILURE.attempts] = attempt_at and digits(number_at(message, attempt_at) or 1)
    local entry = {} -- all fields in one order, so that Redis need not store the names in each entry
    for _, name in ipairs(FAILURE_FIELDS) do
      entry[#entry + 1] = name
      entry[#entry + 1] = fields[name] or ''
    end
    redis.call('XADD', stream, '*', unpack(entry))
    count = count + 1
    bytes = bytes + bytes_of(fields)
    trim_failures()
    redis.call('HSET', account, FAILURE_BOUNDS.bytes, digits(bytes), FAILURE_BOUNDS.ttl, digits(ttl),
      FAILURE_BOUNDS.count, digits(max_count), FAILURE_BOUNDS.max_bytes, digits(max_bytes))
    if not is_renewed then
      redis.call('PEXPIRE', stream, digits(ttl))
      redis.call('PEXPIRE', account, digits(ttl))
      is_renewed = true
    end
  end

  opened_failures = { keep = keep, find = find, remove = remove, bytes_of = bytes_of, write_bytes = write_bytes }
  return opened_failures
end
