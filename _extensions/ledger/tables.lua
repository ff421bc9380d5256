-- Widths of the columns of a table, for a page that is some 88 characters wide.
-- Left alone, typst and browsers squeeze the column of words until each line holds one of them.

local tables = {}
local PAGE, GAP, TIGHT = 88, 2.5, 1.4 -- characters in a line of 9.5 points, and lost between two columns
local NEAR = 0.95 -- of a page: from there on, an estimate may be too low
local SHORT, LONG, READABLE = 20, 60, 24 -- texts up to SHORT keep to one line; LONG ones get READABLE
local LINE, PADDING, ROOM = 12.5, 7.2, 460 -- points: a line, a row's padding, a float's height

-- Characters, points and brackets of numbers counted half, as wide as they are; in Word, whose font
-- the reader's machine chooses, whole, and words a little wider than numbers.
local function wide(text)
  if FORMAT == "docx" then return (utf8.len(text) or #text) * (text:find("%d") and 1 or 1.12) end
  local _, narrow = text:gsub("[%.,%[%]]", "")
  return (utf8.len(text) or #text) - (text:find("%d") and narrow / 2 or 0)
end

local function words_of(cell)
  local longest, text = 0, pandoc.utils.stringify(cell.contents)
  for word in text:gmatch("[^%s–—/]+") do longest = math.max(longest, wide(word)) end
  return wide(text), longest
end

-- All rows as lists of { text = characters in all, word = characters that must not be broken }.
local function measured(tab)
  local rows = pandoc.List()
  local function add(row, head)
    local cells = {}
    for index, cell in ipairs(row.cells) do
      local text, word = words_of(cell)
      local right = tab.colspecs[index] and tab.colspecs[index][1] == "AlignRight"
      if head then
        word = (text <= SHORT and text or word) * 1.1 -- it is bold
      else
        word = right and text or math.max(word, text > LONG and READABLE or math.min(text, SHORT))
      end
      cells[index] = { text = text, word = word }
    end
    rows:insert(cells)
  end
  for _, row in ipairs(tab.head.rows) do add(row, true) end
  for _, body in ipairs(tab.bodies) do
    for _, row in ipairs(body.body) do add(row, false) end
  end
  return rows
end

-- Give the columns widths where their content is wider than the page; a table of many columns is
-- set smaller. Returns whether the table is too tall for a float, and whether its columns, without
-- widths, may yet be wider than the page.
function tables.fit(tab)
  local rows, most, least, wanted, needed = measured(tab), {}, {}, 0, 0
  for index = 1, #tab.colspecs do
    most[index], least[index] = 0, 0
    for _, cells in ipairs(rows) do
      most[index] = math.max(most[index], cells[index] and cells[index].text or 0)
      least[index] = math.max(least[index], cells[index] and cells[index].word or 0)
    end
    wanted, needed = wanted + most[index] + GAP, needed + least[index] + GAP
  end
  local dense, gap = needed > PAGE, GAP
  if dense then
    gap = TIGHT
    wanted, needed = wanted - #least * (GAP - TIGHT), needed - #least * (GAP - TIGHT)
  end
  local width, page = {}, math.max(PAGE, needed)
  for index = 1, #tab.colspecs do
    local share = wanted > needed and (most[index] - least[index]) / (wanted - needed) or 0
    width[index] = wanted <= PAGE and most[index] or least[index] + share * (page - needed)
  end
  local own = tab.colspecs:find_if(function(spec) return type(spec[2]) == "number" and spec[2] > 0 end)
  local full = FORMAT == "docx" and wanted > 0.8 * PAGE -- fonts differ from reader to reader
  local short = FORMAT == "typst" and wanted - needed < 1 -- nothing to wrap: typst measures it
  local given = (wanted > PAGE or full) and not own and not short
  if given then
    local margins = gap + (FORMAT == "docx" and 3.5 or 0)
    local whole = math.min(wanted, page) + (margins - gap) * #least + 0.01
    tab.colspecs = tab.colspecs:map(function(spec, index)
      return { spec[1], (width[index] + margins) / whole }
    end)
    tab.classes:insert("wide")
    tab.attributes.style = ("min-width: %dem"):format(page // 2)
  end
  if dense then tab.classes:insert("dense") end
  if dense and FORMAT == "typst" then
    tab.attributes["typst:inset"] = "(x: 3.4pt, y: 3.6pt)"
    if not short then
      tab.attributes["typst:text:size"] = ("%.1fpt"):format(math.min(9.5, math.max(7, 9.5 * PAGE / needed)))
    end
  end
  local height = 0
  for _, cells in ipairs(rows) do
    local lines = 1
    for index, cell in ipairs(cells) do
      lines = math.max(lines, math.ceil(cell.text / math.max(1, width[index] or 1)))
    end
    height = height + lines * LINE + PADDING
  end
  return height > ROOM, wanted > NEAR * PAGE and not (given or own)
end

return tables
