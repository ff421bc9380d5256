-- Keeps or drops what is marked `.when`, blocks and spans; for reviewers also `.identifying`.
-- It runs first of all: a dropped passage is never asked for its numbers, and a block may be a
-- `.when` and a callout at once, which Quarto's own syntax tree would no longer show.

local core = dofile(quarto and quarto.utils.resolve_path("core.lua")
  or pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/core.lua")

local review = core.setting("review") ~= nil
local keep = { traverse = "topdown" }

-- The verdict that a passage most depends on: of the entry with the fewest words, of these the last.
local function decisive(conditions)
  local id, fewest
  for name, words in pairs(conditions) do
    local _, count = words:gsub("%S+", "")
    if not fewest or count <= fewest then id, fewest = name, count end
  end
  return id
end

local PLAIN = { Str = true, Space = true, SoftBreak = true, Emph = true, Strong = true, Quoted = true }

-- Whether a shortcode stands inside, in any of its three forms: the embedded renderer's token, the
-- span that Quarto makes of it in a text, and the bare words that it leaves in front matter.
local function holds_token(inline, text)
  local found = text:find(core.OPEN, 1, true) or text:find("{{<", 1, true)
  if found or not inline.content then return found end
  inline.content:walk({
    Span = function(span)
      found = found or span.classes:includes("quarto-shortcode__") or span.attributes["__quarto_custom"] ~= nil
    end,
  })
  return found
end

-- A passage says its verdict first: its opening words, up to a number, a link or the sentence's end,
-- become the link to the card, as a number and a phrase of `says` are.
local function state(inlines, conditions)
  local first, last, words
  for index, one in ipairs(inlines) do
    local text = pandoc.utils.stringify(one)
    local plain = PLAIN[one.t] and not holds_token(one, text)
    if plain and text:match("%w") then
      first, last, words = first or index, index, (words or 0) + 1
    end
    if (not plain or text:match("[.?!]$")) and words then break end
  end
  if not words then return inlines end
  local id = decisive(conditions)
  local verdict = core.ledger().entries[id].verdict
  local span = core.stated(id, { table.unpack(inlines, first, last) }, "when", "data-verdict", verdict)
  local out = pandoc.Inlines({ table.unpack(inlines, 1, first - 1) })
  out:insert(span)
  out:extend({ table.unpack(inlines, last + 1) })
  return out
end

-- From the outside in. What has an id or another class stays a block or span.
local function when(el)
  if review and el.classes:includes("identifying") then return {}, false end
  if not el.classes:includes("when") then return nil end
  if not core.holds(el.attributes) then return {}, false end
  local conditions = el.attributes
  el.classes = el.classes:filter(function(class) return class ~= "when" end)
  el.attributes = {}
  el.content = el.content:walk(keep)
  local prose = el.t == "Span" and el or el.content[1]
  if prose and (prose.t == "Span" or prose.t == "Para" or prose.t == "Plain") then
    prose.content = state(prose.content, conditions)
    if el.t == "Div" then el.content[1] = prose end
  end
  if #el.classes == 0 and el.identifier == "" then return el.content, false end
  return el, false
end
keep.Div, keep.Span = when, when

local BLANK = { Space = true, SoftBreak = true }

local function gone(el)
  return el.t == "Span" and (review and el.classes:includes("identifying")
    or el.classes:includes("when") and not core.holds(el.attributes))
end

-- A sentence that falls out takes one of the two spaces around it along.
function keep.Inlines(inlines)
  local out, dropped = pandoc.Inlines({}), false
  for _, one in ipairs(inlines) do
    if gone(one) then
      dropped = true
    elseif not (dropped and BLANK[one.t] and (#out == 0 or BLANK[out[#out].t])) then
      out:insert(one)
    end
  end
  if not dropped then return nil end
  if #out > 0 and BLANK[out[#out].t] then out:remove(#out) end
  return out
end

return { keep, { Pandoc = core.load("aside").off } }
