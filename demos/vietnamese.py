"""What the demos say in Vietnamese: each text by its English original, and what `--help` tells."""

from pathlib import Path

LINES = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
SAID = [line for line in LINES if line and line[0] != "#"]
TEXTS = dict(zip(SAID[::2], SAID[1::2], strict=True))
DOCUMENTATION = {
    "sunspots": """Mạng RNN đầu tiên: năm tới có bao nhiêu vết đen mặt trời?

Vết đen mặt trời đến rồi đi trong khoảng mười một năm.  Con số của một năm không cho biết chúng đang
tăng hay giảm; một trạng thái ẩn có trí nhớ thì biết.  Mạng của sách giáo khoa, `nn.VanillaRNN` với
tám trạng thái, đọc lần lượt từng năm từ 1700 và sau mỗi năm nói năm tới sẽ ra sao.  Một phần năm
cuối là phần kiểm tra.  RNN hơn hẳn mạng không có trí nhớ; tự hồi quy chín năm còn tốt hơn nó.""",
    "feed_forward": """Mạng truyền thẳng: điều mà một mạng không có trí nhớ không làm được.

Một mạng hai tầng chỉ thấy một ngày dự đoán kém hơn RNN đọc bốn mươi ngày; bày cả bốn mươi ngày ra
trước nó thì nó làm được: cửa sổ cũng là trí nhớ, có độ dài cố định.  Rồi một bài toán mỗi bước chỉ
thấy một đồng xu: không có trạng thái thì chỉ còn cách đoán mò.""",
    "stock_price": """Vanilla RNN: ngày mai cổ phiếu sẽ dao động rộng bao nhiêu?

Một Vanilla RNN đọc 40 ngày của IBM và dự đoán biên độ giá ngày kế tiếp.  Biên độ dự đoán được, giá
thì không (--target price).  Bảng thứ hai cho thấy mạng quên những ngày xa: dự đoán thay đổi bao
nhiêu khi một ngày trong cửa sổ bị thay bằng ngày khác.""",
    "translation": """LSTM mã hoá và giải mã: dịch câu từ tiếng Anh sang tiếng Việt, từ ngắn đến dài.

Các câu dài dần: ai làm gì; lúc mấy giờ; vào thứ mấy; rồi hai mệnh đề.  Vanilla RNN dịch được câu
ngắn nhất, câu dài hơn thì đoán mò phần còn lại.  LSTM giữ được câu dài gấp đôi; với attention thì
độ dài không còn quan trọng.""",
    "sentiment": """GRU: câu nhận xét này khen hay chê?

Một GRU với 32 trạng thái đọc các từ; bên cạnh nó là Bayes ngây thơ, Vanilla RNN và LSTM.  Dữ liệu
chỉ có hai lớp, không có lớp trung tính; câu nào mạng không chắc thì được đếm là "không chắc".""",
    "speech": """RNN hai chiều: chuỗi chữ số được đọc lên, ghi lại bằng CTC.

Mạng nghe cả hai hướng được so với mạng chỉ nghe quá khứ.""",
    "next_word": """Từ kế tiếp: "Hôm nay trời rất ___".

Ai chỉ thấy chữ "rất" thì không biết từ gì sẽ đến: "đẹp", "ngon", hay "giỏi"?  Ai nhớ "Hôm nay trời"
thì biết.  Một Vanilla RNN đọc từng từ của 440 câu tiếng Việt viết riêng cho dự án này.""",
    "language_model": """RNN sâu: chữ cái nào đến tiếp theo trong Shakespeare?

Hai LSTM xếp chồng được so với một LSTM có số tham số tương đương và với các n-gram.  Lúc đầu huấn
luyện, chiều sâu chưa mang lại gì: điều đó được nói thẳng.""",
    "vanishing_and_exploding": """Biến mất và nổ gradient: gradient ra sao trên đường lùi qua thời gian.

Mỗi bước lùi nhân gradient với W_hh và với φ′.  Các ô để nguyên như khi được tạo: Vanilla RNN với độ
khuếch đại 0.5, 1 và 3, LSTM, GRU; rồi LSTM và GRU với một bias được đổi; rồi RNN bị cắt gradient.
Cuối cùng là ba mạng đã được huấn luyện.  sliders.html là một trang có thanh trượt cho độ khuếch đại,
cỡ của đầu vào và bias của cổng quên.""",
    "long_memory": """Trí nhớ dài: ô nào còn học được điều đã thấy T bước trước?

Cộng: hai trong T số được đánh dấu, tổng của chúng là bao nhiêu?  Chép lại: nhắc lại bốn ký hiệu sau
T ô trống.  Chữ số: gọi tên chữ số đọc từng điểm ảnh, 64 bước.  Ô nào cũng được huấn luyện như nhau;
bên cạnh kết quả là điều nó đã học được với gradient: một bước lùi nhân gradient của trạng thái giữ
được nhiều nhất với bao nhiêu.""",
    "clipping": """Cắt gradient: ba cách chữa gradient nổ, trên một bài toán giải được.

Không giới hạn thì mạng kết thúc không hơn một hằng số; theo chuẩn và theo lần qua bước nó giải được
bài toán với cả năm hạt giống, theo giá trị với bốn.""",
    "truncation": """Rút ngắn BPTT (truncation): gradient chỉ nhìn lại k bước thì sai bao nhiêu?

Đồ thị bị cắt ở mỗi ranh giới thứ k.  Gradient đã cắt của W_hh được so với gradient đầy đủ, về độ dài
và về hướng, cho một RNN hay quên (độ khuếch đại 0.5) và một RNN không quên (1.0).  RNN hay quên mất
ít: thứ bị cắt đi vốn đã biến mất rồi.""",
    "custom_cells": """Các ô của mười ba bài báo: kiểm tra, vẽ và huấn luyện.

Mỗi ô là một tệp nhỏ để sao chép, không cần gì ngoài minigrad và nn.""",
    "debugger_tour": """Bộ gỡ lỗi: tìm một lô dữ liệu hỏng, một NaN, rồi dạo qua một vụ nổ gradient.

Trước hết một lần huấn luyện hỏng vì một lô có số đo sai đơn vị.  Rồi một hàm mất mát thành NaN vì một
số đo âm: bộ gỡ lỗi dừng ở đúng bước thời gian và dòng mã đã sinh ra nó.  Cuối cùng là một gradient
nổ: dừng khi nó vượt 100, đi tới đi lui, giới hạn nó rồi cho chạy hết.""",
    "bptt_is_the_chain_rule": """BPTT là quy tắc chuỗi: bốn con đường đến gradient, một đáp số.

Vòng lặp ngược của thư viện, vốn không biết gì về thời gian; BPTT viết tay; chế độ thuận (RTRL); và
nhích từng trọng số (sai phân hữu hạn).  Rồi cùng gradient ấy theo từng bước: mỗi bước góp phần mình
vào trọng số dùng chung.""",
}
